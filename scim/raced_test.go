//go:build race

package scim_test

// With the race detector, which is slow, tests of random rounds take fewer.
const fewer = 50
