locals {
  first = stage.c.text
}

stage "table" "a" {
  title = local.first
}

stage "table" "b" {
  title = stage.a.text
}

stage "table" "c" {
  title = "after ${stage.b.text}"
}
