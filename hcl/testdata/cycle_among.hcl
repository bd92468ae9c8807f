# A cycle is reported beside other mistakes, also those in its own steps.
stage "table" "a" {
  title = stage.b.text
  titel = 1
}

stage "table" "b" {
  title = stage.a.text
}

stage "table" "a" {
  title = "a again"
}

stage "table" "b" {
  title = stage.b.text
}
