stage "table" "source" {
}

stage "table" "rows" {
  for_each = stage.source.rows
}

stage "table" "hidden" {
  for_each = local.texts
}

locals {
  texts = toset([stage.source.text])
}

stage "table" "number" {
  for_each = 3
}

stage "table" "numbers" {
  for_each = [1, 2]
}

stage "table" "repeat" {
  for_each = ["a", "b", "a"]
}

stage "table" "null" {
  for_each = null
}

stage "table" "outside" {
  title = each.key
}

stage "table" "other" {
  for_each = ["a"]
  title    = each.index
}

stage "table" "when" {
  when = stage.source.text != ""
}

stage "table" "when2" {
  when = "yes"
}

stage "table" "element" {
  for_each = stage.rows
  title    = each.value.txt
}

stage "table" "fine" {
  for_each = ["a", "b"]
}

stage "table" "instances" {
  title = stage.fine.text
  any   = stage.fine["c"].text
  one   = stage.fine[each.key].text
}

stage "table" "partly" {
  for_each = length(stage.fine) > 0 ? stage.source.rows : []
}

locals {
  unused = stage.source.texd
}
