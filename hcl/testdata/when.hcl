variable "deploy" {
  default = false
}

stage "table" "estimate" {
  when = var.deploy
}

stage "table" "report" {
  title = stage.estimate.text
  any   = try(stage.estimate.text, "left out")
}

stage "table" "many" {
  for_each = ["a", "b"]
  when     = each.key != "b"
}

stage "table" "uses" {
  any = stage.many["b"].text
}
