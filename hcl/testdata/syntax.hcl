stage "tabel" "a" {
  any = stage.not_read.text
}

stage "calibrate" "b" {
  seed = (1 +
}

stage "table" "c" {
  title = "x" "y"
}

stage "table" "d"
{
}
