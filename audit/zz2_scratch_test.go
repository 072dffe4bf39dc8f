package audit

import "testing"

func BenchmarkScratchParts(b *testing.B) {
	ctx, was, is := scrInput(b.Context())
	e, _ := newEvent(ctx, was.OrgID, "teams.update", Updated(&was, &is).In(is.ID))
	e.ID = "evt_01K0000000000000000000000C"
	r := rowOf(&e)
	buf := make([]byte, 0, 1000)
	b.Run("rowOf", func(b *testing.B) {
		for b.Loop() {
			r = rowOf(&e)
		}
	})
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			x := buf
			for _, s := range r.texts() {
				x = pack(x, *s)
			}
		}
	})
	b.Run("squeeze", func(b *testing.B) {
		for b.Loop() {
			squeeze(buf, r.Personal)
		}
	})
	b.Run("tidy", func(b *testing.B) {
		for b.Loop() {
			e.tidy()
		}
	})
	b.Logf("%d personal, %d squeezed, %d whole", len(r.Personal), len(squeeze(nil, r.Personal)), len(r.encode()))
}
