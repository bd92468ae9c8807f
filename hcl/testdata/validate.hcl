stage "search" "a" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = "1ms", energy = "10mJ" }
}

stage "search" "b" {
  for_each = toset(["x", "y"])
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit {
    latency = 1
  }
  greedy = true
  rounds = 200
}
