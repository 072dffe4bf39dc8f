package notify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/notify"
)

// deaf is a sender that sends, and says that it has not.
type deaf struct{ outbox }

func (d *deaf) Send(ctx context.Context, m notify.Message) error {
	if err := d.outbox.Send(ctx, m); err != nil {
		return err
	}
	if len(d.sent) == 1 {
		return errors.New("the connection ended after the mail was taken")
	}
	return nil
}

// An alert whose mail goes out twice, because nobody knows that it went, is the same mail.
func TestAnAlertThatIsMailedTwiceIsOneMessage(t *testing.T) { // F083, F104; billing edge 54
	box := &deaf{}
	each(t, box, func(t *testing.T, w *world) {
		require.NoError(t, w.Maintain(w.Platform(), w.worker))
		limit, share := billing.NewAmount(decimal.NewFromInt(10)), billing.NewAmount(decimal.RequireFromString("0.8"))
		team := w.Team(w.org, "crew", orgs.TeamSettings{Budget: &orgs.BudgetSettings{MonthlyLimit: &limit, AlertThreshold: &share},
			Notifications: &orgs.NotificationSettings{UsageAlerts: []string{"cfo@acme.example"}}})
		cost := decimal.NewFromInt(9)
		r, err := w.Reserve(t.Context(), billing.Path{OrgID: w.org.ID, TeamID: team.ID}, &cost)
		require.NoError(t, err)
		require.NoError(t, r.Settle(t.Context(), cost))
		require.NoError(t, w.Flush(t.Context()))
		require.ErrorContains(t, w.run(t), "the connection ended")
		w.clock.Advance(time.Minute)
		require.NoError(t, w.run(t))
		sent := box.take()
		require.Len(t, sent, 2)
		require.Equal(t, sent[0], sent[1], "with one id")
		require.Contains(t, sent[0].Subject, "80%")
		require.NotEmpty(t, sent[0].ID)
	})
}
