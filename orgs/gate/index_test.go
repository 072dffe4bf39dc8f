package gate

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestAnIndexIsAMap compares it with one, over keys many of which have the same home.
func TestAnIndexIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		d := rand.New(rand.NewPCG(seed, 1))
		var x index
		is := map[uint64]*known{}
		for range 20_000 {
			in := d.Uint64N(400) << shardBits << (8 * d.Uint64N(4)) // where there are few homes
			switch d.IntN(3) {
			case 0:
				x.remove(in)
				delete(is, in)
			case 1:
				n := new(known)
				x.put(in, n)
				is[in] = n
			}
			require.Same(t, is[in], x.get(in))
			require.Equal(t, len(is), x.used)
		}
		for in, n := range is {
			require.Same(t, n, x.get(in))
		}
		for len(is) > 0 {
			in := x.random()
			require.NotNil(t, is[in])
			x.remove(in)
			delete(is, in)
		}
		require.Zero(t, x.used)
	}
}

// What every call looks at of a key lies in one pair of lines of memory, of 64 bytes each.
func TestWhatEveryCallLooksAtIsFetchedTogether(t *testing.T) {
	require.EqualValues(t, 128, unsafe.Offsetof(known{}.more))
	require.EqualValues(t, 256, unsafe.Sizeof(known{}))
}
