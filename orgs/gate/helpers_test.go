package gate_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/gate"
	"github.com/stretchr/testify/require"
)

// anomaly is a detector that answers the stored score and fails when that is negative.
func anomaly(score *atomic.Value) func(context.Context, string, string) (float64, error) {
	return func(context.Context, string, string) (float64, error) {
		s := score.Load().(float64)
		if s < 0 {
			return 0, errors.New("detector is down")
		}
		return s, nil
	}
}

func errorsAs[T error](err error, target *T) bool { return errors.As(err, target) }

// set is an update of a team's settings alone.
func set(s orgs.TeamSettings) orgs.TeamUpdate { return orgs.TeamUpdate{Settings: &s} }

func rateOf(t *testing.T, adm *gate.Admission) billing.Rate {
	t.Helper()
	rate, some := adm.Rate()
	require.True(t, some)
	return rate
}
