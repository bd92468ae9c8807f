module "far" {
  source = "https://example.org/train.git"
}

module "bare" {
  source = "modules/train"
}

module "absolute" {
  source = "/modules/train"
}

module "gone" {
  source = "./modules/trian"
}

module "computed" {
  source = var.where
}

module "none" {
  name = "x"
}

module "train" {
  source   = "./modules/train"
  for_each = ["a", "b"]
  nmae     = each.key
  rounds   = "many"
  settings {
  }
}

module "again" {
  source = "./modules/train"
  name   = "x"
  rounds = 0
}

module "again" {
  source = "./modules/train"
}

module "loop" {
  source = "./modules/loop"
}

module "reserved" {
  source = "./modules/vars"
}

module "x" {
  source = "./modules/other"
  given  = module.y.given
}

module "y" {
  source = "./modules/other"
  given  = module.x.given
}

module "late" {
  source   = "./modules/train"
  for_each = { for r in stage.table.rows : r.name => r }
  name     = each.key
}

stage "table" "table" {
  title = module.again.bset
  one   = module.nothing.best
  any   = module.again["k"].best
}

variable "where" { default = "./modules/train" }

module "fine" {
  source   = "./modules/other"
  for_each = { a = 1, b = 2, c = 3 }
  when     = each.value > 1
  given    = each.value
}

module "left" {
  source = "./modules/other"
  when   = false
  given  = 1
}

stage "table" "more" {
  title = module.fine["a"].given
  one   = module.fine.given
  any   = module.left.given
}

stage "table" "same" {
  depends_on = [module.fine.given, module.fine["b"]]
  any        = [for k, m in module.fine : m.gvien]
}
