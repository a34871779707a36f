" Opens a file in Vim as its user would, with ALE and the linter of packaging/lint/vim, and writes what the editor lists.
set runtimepath^=/usr/share/vim-ale
set runtimepath+=packaging/lint/vim
filetype plugin on
runtime! plugin/ale.vim

function! Show(file, shown) abort
    execute 'edit' fnameescape(a:file)
    ALELint
    " The linter runs beside the editor; 20 s at most.
    for l:wait in range(200)
        let l:found = ale#engine#GetLoclist(bufnr('%'))
        if !empty(l:found)
            break
        endif
        sleep 100m
    endfor
    let l:lines = map(copy(l:found), {_, it -> printf('%d:%d-%d %s %s %s', it.lnum, it.col, get(it, 'end_col', it.col), it.type, get(it, 'code', ''), it.text)})
    call writefile([&filetype] + l:lines, a:shown)
endfunction
