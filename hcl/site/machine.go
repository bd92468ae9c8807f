package site

// Machine is the machine block: what steps that run on this machine may take of it. What it does
// not say is found out, or is nothing.
type Machine struct {
	Jobs      int                // how many steps run at once; 0 for one per CPU
	Resources map[string]float64 // what it has: "gpus", "memory" (bytes), whatever else steps ask for
}

// MostGPUs bounds the GPUs of a machine, of which each is kept account.
const MostGPUs = 4096

func readMachine(s *Site, b *block) {
	if _, ok := b.labels(); !ok {
		return
	}
	m := Machine{Jobs: b.count("jobs"), Resources: b.amounts("resources")}
	if m.Resources["gpus"] > MostGPUs {
		b.report(b.Body.Attributes["resources"].Expr.Range(), "Wrong value", "resources: want at most %d GPUs.", MostGPUs)
	}
	b.end()
	if s.machine != nil {
		b.report(b.TypeRange, "Block written twice", "There is another machine block at %s.", s.machine.pos(""))
	}
	s.Machine, s.machine = m, b
}
