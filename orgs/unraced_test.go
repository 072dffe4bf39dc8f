//go:build !race

package orgs_test

const fewer = 1
