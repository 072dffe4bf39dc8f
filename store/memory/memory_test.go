package memory_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/memory"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return storetest.Open(t, "memory", store.Options{}) })
}

func TestUnitInsideAUnitWithTheOuterContextIsNamed(t *testing.T) {
	s := memory.New(&memory.Options{WriterTimeout: 50 * time.Millisecond})
	outer := t.Context()
	err := s.Update(outer, func(context.Context, *store.Tx) error {
		return s.Update(outer, func(context.Context, *store.Tx) error { return nil })
	})
	require.ErrorContains(t, err, "TestUnitInsideAUnitWithTheOuterContextIsNamed")
}
