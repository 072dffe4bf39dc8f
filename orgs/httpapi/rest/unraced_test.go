//go:build !race

package rest_test

// raced says whether the race detector watches, under which everything takes several times as long.
const raced = false
