locals {
  a = local.b + 1
  b = [local.c]
  c = { x = local.a }
}

stage "table" "t" {
  any = local.a
}
