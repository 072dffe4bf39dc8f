package rbac

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What two patterns are said to meet in both match; where a name is matched by both they do meet.
func TestPatternsMeetWhereBothMatch(t *testing.T) {
	piece := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, q := piece.Draw(t, "p"), piece.Draw(t, "q")
		name, meets := meet(p, q)
		if meets {
			for _, filler := range []string{whatever, "", "x"} {
				text := strings.ReplaceAll(name, whatever, filler)
				require.True(t, ResourcePattern{p}.Match(text) && ResourcePattern{q}.Match(text), "%q", text)
			}
		}
		drawn := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 6, -1).Draw(t, "name")
		require.False(t, !meets && ResourcePattern{p}.Match(drawn) && ResourcePattern{q}.Match(drawn), "%q is matched by both", drawn)
	})
}
