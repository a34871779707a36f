" The configuration of the ECS agent.
autocmd BufRead,BufNewFile ecs.config setfiletype ecsconfig
