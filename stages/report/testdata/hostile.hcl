# A page of texts that mean harm, that are long, or that run from right to left, and of a long table.

locals {
  texts = {
    script = "</script><script>globalThis.harmed = 1</script>"
    style  = "</style><style>body{display:none}</style>"
    image  = "<img src=x onerror='globalThis.harmed = 2'>"
    quote  = "\" onmouseover=\"globalThis.harmed = 3\" x=\"' onfocus='globalThis.harmed = 4"
    entity = "&lt;b&gt; &amp;amp; ]]> <!-- -->"
    markup = "**bold** `code` <a href='javascript:globalThis.harmed = 5'>x</a>"
    long   = join("", [for i in range(40) : "networkwithoutaspace"])
    wide   = "日本語 μ µ ﷽ 👩‍👩‍👧‍👦 e̊́̂̃"
    right  = "‮drawkcab‬ עברית العربية ‏1 < 2‏"
    empty  = ""
  }
  all  = join(" ", values(local.texts))
  rows = [for i in range(2000) : { text = element(values(local.texts), i), number = measured(i * 7919 % 2000, local.all), other = i }]
}

stage "dataset" "images" {
  for_each = local.texts
  source   = "shapes"
  train    = 24
  test     = 12
  size     = 16
}

stage "table" "long" {
  title     = local.all
  caption   = local.all
  footnotes = values(local.texts)
  columns   = [{ key = "text", title = local.all }, { key = "number", group = local.all, unit = local.texts.quote }, { key = "other", group = local.texts.long }]
  rows      = local.rows
}

stage "table" "words" {
  columns = [{ key = "name", title = local.all }, { key = "text", format = "words" }]
  rows    = [for k, s in stage.images : { name = k, text = "${local.texts[k]} ${s.dataset.train.count}" }]
}

stage "plot" "points" {
  title = local.all
  x     = { title = local.all, unit = local.texts.image }
  y     = { title = local.texts.long }
  series = [for k, text in local.texts : {
    name  = text
    rows  = slice(local.rows, 0, 5)
    x     = "number"
    y     = "other"
    label = "text"
  }]
}

stage "plot" "bars" {
  title  = "bars"
  series = [{ name = local.all, mark = "bars", rows = [for k, s in stage.images : { name = local.texts[k], y = s.dataset.train.count }], x = "name", y = "y" }]
}

stage "report" "page" {
  title    = local.all
  text     = local.all
  recipe   = "${path.recipe}/hostile.hcl"
  sections = concat(
    [for k, text in local.texts : { title = text == "" ? "-" : text, text = text }],
    [{ title = "Table", tables = [stage.long.html, stage.words.html], figures = [stage.points.svg, stage.bars.svg] }],
  )
}
