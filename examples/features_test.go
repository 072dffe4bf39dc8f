package examples_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFeaturesOfSignInAndProvisioningAreSeenOverHTTP: each has a test of an edge that carries its number in a comment.
func TestFeaturesOfSignInAndProvisioningAreSeenOverHTTP(t *testing.T) {
	carried := map[int]bool{}
	number := regexp.MustCompile(`\bF(\d{3})(?: to F(\d{3}))?\b`)
	for _, edge := range []string{"../scim", "../orgs/sso", "../orgs/httpapi", "gateway"} {
		require.NoError(t, filepath.WalkDir(edge, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for line := range strings.Lines(string(text)) {
				_, comment, _ := strings.Cut(line, "// ")
				for _, n := range number.FindAllStringSubmatch(comment, -1) {
					from, _ := strconv.Atoi(n[1])
					to, err := strconv.Atoi(n[2])
					if err != nil {
						to = from
					}
					for ; from <= to; from++ {
						carried[from] = true
					}
				}
			}
			return err
		}))
	}
	wanted := []int{323, 332, 333, 336, 462}
	for n := 174; n <= 204; n++ {
		wanted = append(wanted, n)
	}
	for _, n := range wanted {
		require.True(t, carried[n], fmt.Sprintf("F%03d", n))
	}
}
