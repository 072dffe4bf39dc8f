package sso_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered is how many classes of attacks there are (A), and how much the libraries for SAML (L) and OpenID Connect (M) leave
// to those who use them.
var numbered = map[string]int{"A": 30, "L": 21, "M": 12}

// TestEveryAttackHasATest that carries its number, in a comment behind what it tests or in the name of a row.
func TestEveryAttackHasATest(t *testing.T) {
	carried := map[string]bool{}
	said := regexp.MustCompile(`// .*|\{"[^"]*\((?:[AL]\d+)\)"`)
	number := regexp.MustCompile(`\b([ALM])(\d+)(?:(?: to |-)[ALM](\d+))?\b`)
	read := func(path string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			for _, n := range number.FindAllStringSubmatch(said.FindString(line), -1) {
				from, _ := strconv.Atoi(n[2])
				to, err := strconv.Atoi(n[3])
				if err != nil {
					to = from
				}
				for ; from <= to; from++ {
					carried[n[1]+strconv.Itoa(from)] = true
				}
			}
		}
	}
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") && path != "attacks_test.go" {
			read(path)
		}
		return err
	}))
	for _, path := range []string{"sso_test.go", "signin/sso_test.go", "httpapi/rest/sso_test.go"} { // what follows from an answer, and who configures it
		read(filepath.Join("..", path))
	}
	for letter, n := range numbered {
		for ; n > 0; n-- {
			require.True(t, carried[letter+strconv.Itoa(n)], "%s%d", letter, n)
		}
	}
}
