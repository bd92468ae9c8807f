module "within" {
  source = "../loop"
}
