package picture

// The inverse cosine transform of 8 numbers needs 11 multiplications (Loeffler,
// Ligtenberg and Moschytz, ICASSP 1989). Its constants have fixedBits after the point,
// and what stands between columns and rows has midBits, as libjpeg's "islow" has it:
// then the results are equal to the bit.
const (
	fixedBits = 13
	midBits   = 2

	c0298 = 2446  // 0.298631336 · 2^13
	c0390 = 3196  // 0.390180644
	c0541 = 4433  // 0.541196100
	c0765 = 6270  // 0.765366865
	c0899 = 7373  // 0.899976223
	c1175 = 9633  // 1.175875602
	c1501 = 12299 // 1.501321110
	c1847 = 15137 // 1.847759065
	c1961 = 16069 // 1.961570560
	c2053 = 16819 // 2.053119869
	c2562 = 20995 // 2.562915447
	c3072 = 25172 // 3.072711026
)

// inverse transforms 8 numbers and drops the lowest bits of the results.
func inverse(x *[8]int, bits uint) {
	round := 1 << (bits - 1)
	z := (x[2] + x[6]) * c0541
	e2, e3 := z-x[6]*c1847, z+x[2]*c0765
	e0, e1 := (x[0]+x[4])<<fixedBits+round, (x[0]-x[4])<<fixedBits+round
	even := [4]int{e0 + e3, e1 + e2, e1 - e2, e0 - e3}

	z5 := (x[7] + x[3] + x[5] + x[1]) * c1175
	z1, z2 := -(x[7]+x[1])*c0899, -(x[5]+x[3])*c2562
	z3, z4 := z5-(x[7]+x[3])*c1961, z5-(x[5]+x[1])*c0390
	odd := [4]int{x[1]*c1501 + z1 + z4, x[3]*c3072 + z2 + z3, x[5]*c2053 + z2 + z4, x[7]*c0298 + z1 + z3}
	for i := range 4 {
		x[i], x[7-i] = (even[i]+odd[i])>>bits, (even[i]-odd[i])>>bits
	}
}

// transform writes the 8×8 pixels of a block.
func transform(b *[64]int16, quant *[64]uint16, dst []byte, stride int) {
	var mid [64]int
	for x := range 8 {
		line := [8]int{int(b[x]) * int(quant[x])}
		rest := int16(0)
		for y := 1; y < 8; y++ {
			rest |= b[8*y+x]
			line[y] = int(b[8*y+x]) * int(quant[8*y+x])
		}
		if rest == 0 { // all are the same
			for y := range 8 {
				mid[8*y+x] = line[0] << midBits
			}
			continue
		}
		inverse(&line, fixedBits-midBits)
		for y, v := range line {
			mid[8*y+x] = v
		}
	}
	for y := range 8 {
		row := (*[8]int)(mid[8*y:])
		inverse(row, fixedBits+midBits+3)
		out := dst[y*stride:][:8]
		for x, v := range row {
			out[x] = clip(v + 128)
		}
	}
}
