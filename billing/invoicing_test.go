package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/billing"
)

// TestInvoicesOfTeamsAddUpToTheOneOfAll: to the cent, whatever the costs are, and each line is its cost rounded up or down (F470,
// billing edge 23).
func TestInvoicesOfTeamsAddUpToTheOneOfAll(t *testing.T) {
	cent := decimal.New(1, -2)
	rapid.Check(t, func(t *rapid.T) {
		var lines []billing.InvoiceLine
		exact := decimal.Zero
		for i, cost := range rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 40).Draw(t, "costs") {
			l := billing.InvoiceLine{TeamID: fmt.Sprint("team_", rapid.IntRange(0, 5).Draw(t, "team")), Model: fmt.Sprint("m", i), Cost: decimal.New(cost, -12)}
			lines, exact = append(lines, l), exact.Add(l.Cost)
		}
		whole := billing.ShareInvoices(lines, false)
		require.Len(t, whole, 1)
		require.True(t, whole[0].Total.Equal(exact.RoundBank(2)), "half to even")
		require.True(t, whole[0].Cost.Equal(exact))
		ofTeam, sum := map[string]decimal.Decimal{}, decimal.Zero
		for _, l := range whole[0].Lines {
			ofTeam[l.TeamID] = ofTeam[l.TeamID].Add(l.Amount)
		}
		teams := billing.ShareInvoices(lines, true)
		require.Len(t, teams, len(ofTeam))
		n := 0
		for _, share := range teams {
			require.True(t, share.Total.Equal(ofTeam[share.TeamID]), "as on the one of all")
			require.True(t, share.Total.Sub(share.Cost).Abs().LessThan(cent))
			amounts := decimal.Zero
			for _, l := range share.Lines {
				require.True(t, l.Amount.Sub(l.Cost).Abs().LessThan(cent))
				require.True(t, l.Amount.Equal(l.Amount.Round(2)))
				amounts = amounts.Add(l.Amount)
				n++
			}
			require.True(t, amounts.Equal(share.Total))
			sum = sum.Add(share.Total)
		}
		require.True(t, sum.Equal(whole[0].Total))
		require.Equal(t, len(lines), n)
	})
}

func TestWhatIsBelowNothingIsOnNoInvoice(t *testing.T) {
	cost := func(team, cost string) billing.InvoiceLine {
		return billing.InvoiceLine{TeamID: team, Cost: decimal.RequireFromString(cost)}
	}
	require.Empty(t, billing.ShareInvoices(nil, false))
	require.Empty(t, billing.ShareInvoices([]billing.InvoiceLine{cost("a", "1"), cost("b", "-1.001")}, false))
	shares := billing.ShareInvoices([]billing.InvoiceLine{cost("a", "1"), cost("b", "-1.001")}, true)
	require.Len(t, shares, 1)
	require.Equal(t, []string{"a", "1"}, []string{shares[0].TeamID, shares[0].Total.String()})
	shares = billing.ShareInvoices([]billing.InvoiceLine{cost("a", "1"), cost("b", "-0.7")}, false)
	require.Equal(t, "0.3", shares[0].Total.String())
}

func TestAMonthOfAZone(t *testing.T) {
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		require.NoError(t, err)
		return z
	}
	york, tokyo := zone("America/New_York"), zone("Asia/Tokyo")
	at := func(text string) time.Time {
		instant, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return instant
	}
	start := billing.MonthStart(at("2024-04-01T03:00:00Z"), york)
	require.Equal(t, at("2024-03-01T05:00:00Z"), start, "it is March there")
	march := billing.MonthFrom(start, york)
	require.Equal(t, at("2024-04-01T04:00:00Z"), march.Below, "clocks went forward")
	require.Equal(t, at("2024-04-30T15:00:00Z"), billing.MonthFrom(march.Below, tokyo).Below, "a zone to the east: a shorter month")
	may := billing.MonthFrom(at("2024-04-30T15:00:00Z"), york)
	require.Equal(t, at("2024-06-01T04:00:00Z"), may.Below, "a zone to the west: the rest of April is in May")
	require.Equal(t, at("2025-01-01T05:00:00Z"), billing.MonthFrom(at("2024-12-01T05:00:00Z"), york).Below)
	require.EqualValues(t, 1230, billing.MinorUnits(decimal.RequireFromString("12.3")))
}
