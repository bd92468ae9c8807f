stage "table" "t" {
  title = file("nothing.txt")
  any   = [substr("x"), max(), parseint("z", 10), tonumber("x"), sum(["a"]), length(3), mean([]), stddev([1]), range(1, 2, 0)]
  one   = try(1 / 0, nonsense)
  rows  = jsondecode("[")
}
