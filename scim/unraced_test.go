//go:build !race

package scim_test

const fewer = 1
