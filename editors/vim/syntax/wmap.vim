" Vim syntax file for wmap, the language of maps between checkpoint layouts.
if exists("b:current_syntax")
  finish
endif

syn case match

syn keyword wmapStatement wmap map param let index source target shard override within import use
syn keyword wmapItem format file alias ignore carry emit lora scales
syn keyword wmapClause else where when optional broadcast pick pad holds as root into scale rounding stepwise of blocks dequant
syn keyword wmapClause on split at replicate parts groups unit size each checked uneven width lossy
syn keyword wmapReserved in fill config if
syn keyword wmapConstant true false null

syn keyword wmapDtype bool f4 f6_e2m3 f6_e3m2 u8 i8 f8_e5m2 f8_e4m3 f8_e8m0 f8_e4m3fnuz f8_e5m2fnuz i16 u16
syn keyword wmapDtype f16 bf16 i32 u32 f32 c64 f64 i64 u64 float4_e2m1fn_x2 float6_e2m3 float6_e3m2 uint8 int8
syn keyword wmapDtype float8_e5m2 float8_e4m3fn float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz int16 uint16
syn keyword wmapDtype float16 bfloat16 int32 uint32 float32 complex64 float64 int64 uint64 BF16 BOOL C64 F16
syn keyword wmapDtype F32 F4 F64 F6_E2M3 F6_E3M2 F8_E4M3 F8_E4M3FNUZ F8_E5M2 F8_E5M2FNUZ F8_E8M0 I16 I32 I64
syn keyword wmapDtype I8 U16 U32 U64 U8

" Only where they are called.  Keywords win over matches: `split` and `pad` are coloured as such everywhere.
syn match wmapFunction  /\v<%(min|max|len|align|ceil_div|floor_div|sqrt|has|exists|text|json|files|without)>\ze\s*\(/
syn match wmapOperation /\v<%(concat|chunk|split|stack|unstack|unflatten|flatten|permute|transpose|reshape|squeeze|unsqueeze|slice|pad|repeat|unrepeat|repeat_interleave|unrepeat_interleave|cast|uncast|add|mul|neg|exp|log)>\ze\s*%(\(|\||\<-|-\>)/

syn match wmapAttribute /\.\h\w*/ contains=NONE
syn match wmapNumber    /\v<\d%(_?\d)*%(\.\d%(_?\d)*)?%([eE][+-]?\d%(_?\d)*)?>/
syn match wmapArrow     /<->\|->\|<-/
syn match wmapOperator  />>\|??\|\.\.\.\?\|[=!<>]=\|&&\|||\|[~+*\/%!?:]/

" Text with holes: {layer:05}, {rest*}, {p in a|b}.  Doubled braces are literal.
syn region wmapString start=/"/ skip=/\\./ end=/"/ oneline contains=wmapEscape,wmapHole nextgroup=wmapPattern skipwhite skipempty
syn match  wmapHole   /{[^{}"\\]*}/ contained contains=wmapHoleName,wmapHoleIn,wmapHoleSign,wmapHoleWidth
syn match  wmapHoleName  /\h\w*/ contained
syn match  wmapHoleIn    /\s\zsin\ze\s/ contained
syn match  wmapHoleSign  /[*|+]/ contained
syn match  wmapHoleWidth /:0\d\+/ contained
syn match  wmapEscape /\\["\\nt]\|\\u{\x\{1,6}}\|{{\|}}/ contained

" A pattern stands behind its key.
syn region wmapPattern start=/\[/ end=/\]/ contained contains=wmapAxis,wmapRest,wmapNumber,wmapComment
syn match  wmapAxis /\h\w*/ contained
syn match  wmapRest /\.\.\.\|+/ contained

syn match wmapComment /#.*$/ contains=@Spell

hi def link wmapStatement Statement
hi def link wmapItem      Keyword
hi def link wmapClause    Keyword
hi def link wmapReserved  Conditional
hi def link wmapConstant  Constant
hi def link wmapFunction  Function
hi def link wmapOperation Function
hi def link wmapDtype     Type
hi def link wmapAttribute Identifier
hi def link wmapNumber    Number
hi def link wmapArrow     Special
hi def link wmapOperator  Operator
hi def link wmapString    String
hi def link wmapHole      Delimiter
hi def link wmapHoleName  Identifier
hi def link wmapHoleIn    Conditional
hi def link wmapHoleSign  Operator
hi def link wmapHoleWidth Number
hi def link wmapEscape    SpecialChar
hi def link wmapAxis      Identifier
hi def link wmapRest      Operator
hi def link wmapComment   Comment

let b:current_syntax = "wmap"
