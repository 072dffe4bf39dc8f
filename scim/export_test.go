package scim

import "testing"

// SetMaxMembers lowers what one answer shows of members, for a test.
func SetMaxMembers(t *testing.T, n int) {
	was := maxMembers
	maxMembers = n
	t.Cleanup(func() { maxMembers = was })
}
