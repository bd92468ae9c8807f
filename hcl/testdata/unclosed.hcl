stage "tabel" "a" {
}

stage "table" "b" {
  title = "unfinished
}

stage "tabel" "c" {
}
