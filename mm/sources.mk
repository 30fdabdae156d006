both += $(addprefix mm/,memblock.c block_set.c pageblock.c buddy.c buddy_whole.c buddy_check.c fallback.c zone.c pcp.c watermark.c \
	setup.c page_structs.c page_alloc.c page_alloc_slow.c account.c daemon.c slab.c slab_magazine.c vmstat.c trace.c files.c kswapd.c highatomic.c \
	sysctl.c page_ref.c lru.c shrinker.c reclaim.c reclaim_trace.c reclaim_files.c memory_report.c oom.c cache_tree.c cache_file.c page_cache.c \
	movable.c migrate.c isolation.c compaction.c compact_linear.c compact_fullest.c compaction_trace.c fragmentation.c \
	kcompactd.c contig.c cma.c hinting.c hinting_files.c map.c memcg.c)
guest += mm/kmalloc.c
