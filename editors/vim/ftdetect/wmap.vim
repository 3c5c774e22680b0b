autocmd BufNewFile,BufRead *.wmap setfiletype wmap
