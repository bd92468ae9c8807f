package data

// Holdout takes n images away from the others: the same ones for the same
// set in every process, so that a search can be judged on images that training
// did not see. It panics unless 0 ≤ n ≤ s.Len().
func (s *Split) Holdout(n int) (rest, held *Split) {
	order := Order(s.Len(), holdoutSeed, 0)
	return s.Subset(order[n:]), s.Subset(order[:n])
}

// holdoutSeed shuffles the images before some are held out.
const holdoutSeed = 0x686f6c64
