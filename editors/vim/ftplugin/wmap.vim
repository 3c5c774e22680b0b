" Settings for maps: comments, the indentation of `wmap fmt`, and formatting of the whole buffer by gggqG.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal comments=:# commentstring=#\ %s
setlocal expandtab shiftwidth=2 softtabstop=2
setlocal formatprg=wmap\ fmt

let b:undo_ftplugin = "setlocal comments< commentstring< expandtab< shiftwidth< softtabstop< formatprg<"
