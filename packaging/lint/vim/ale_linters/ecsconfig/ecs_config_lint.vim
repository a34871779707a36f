" ecs-config-lint for ALE, the lint engine of Vim and Neovim: https://github.com/dense-analysis/ale.
"
" Add the folder that has ale_linters to the runtime path:
"   set runtimepath+=/usr/share/ecs-config-lint/vim

call ale#Set('ecsconfig_ecs_config_lint_executable', 'ecs-config-lint')
call ale#Set('ecsconfig_ecs_config_lint_options', '')

function! ale_linters#ecsconfig#ecs_config_lint#GetCommand(buffer) abort
    return '%e ' . ale#Var(a:buffer, 'ecsconfig_ecs_config_lint_options') . ' --output json -'
endfunction

function! ale_linters#ecsconfig#ecs_config_lint#Handle(buffer, lines) abort
    let l:types = {'error': 'E', 'warning': 'W', 'note': 'I'}
    let l:items = []

    for l:finding in ale#util#FuzzyJSONDecode(a:lines, {'findings': []}).findings
        let l:fix = l:finding.fix is v:null ? '' : '; ' . l:finding.fix
        let l:item = {
        \   'lnum': l:finding.line is v:null ? 1 : l:finding.line,
        \   'type': l:types[l:finding.severity],
        \   'code': l:finding.id,
        \   'text': l:finding.message . l:fix,
        \}

        if l:finding.column isnot v:null
            let l:item.col = l:finding.column
            " ALE's end is the last byte.
            let l:item.end_col = l:finding.end_column - 1
        endif

        call add(l:items, l:item)
    endfor

    return l:items
endfunction

call ale#linter#Define('ecsconfig', {
\   'name': 'ecs_config_lint',
\   'executable': {b -> ale#Var(b, 'ecsconfig_ecs_config_lint_executable')},
\   'command': function('ale_linters#ecsconfig#ecs_config_lint#GetCommand'),
\   'callback': 'ale_linters#ecsconfig#ecs_config_lint#Handle',
\})
