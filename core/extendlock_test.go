package core_test

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/rules"
	"github.com/usher-access/usher/store/storetest/pgtest"
)

// counted is a store that counts how often its transactions run.
type counted struct {
	core.Store
	runs *atomic.Int32
}

func (c counted) WithTx(ctx context.Context, fn func(ctx context.Context, tx core.Tx) error) error {
	return c.Store.WithTx(ctx, func(ctx context.Context, tx core.Tx) error {
		c.runs.Add(1)
		return fn(ctx, tx)
	})
}

func TestAnExtensionByARuleAndACallForTheSameGrantWaitForOneAnother(t *testing.T) {
	t.Parallel()

	p := shop()
	p.Sequences[1].Flow.Steps[0].Approval.Auto = &flow.Auto{ApproveWhen: "true", Sensitive: true}
	h := newHouse(t, pgtest.NewDatabase(t), p)
	r, err := h.Ask(t.Context(), h.as("ana"), asking(erpPay))
	require.NoError(t, err)
	engine, err := rules.New()
	require.NoError(t, err)
	var runs atomic.Int32
	service := core.NewService(counted{h.store, &runs}, engine, h.now, rand.Text)

	more := asking(erpPay)
	more.Extends = r.ID
	extended := make(chan error, 1)
	require.NoError(t, h.store.WithTx(t.Context(), func(ctx context.Context, tx core.Tx) error {
		held, err := tx.LockGrant(ctx, access.ID(r.ID)) // as when a call begins
		if err != nil {
			return err
		}
		go func() {
			_, err := service.Ask(t.Context(), h.as("ana"), more)
			extended <- err
		}()
		require.Eventually(t, func() bool {
			waiting := 0
			err := h.db.QueryRowContext(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
			return err == nil && waiting > 0
		}, 10*time.Second, 5*time.Millisecond)
		return tx.LockPerson(ctx, held.Holder)
	}))
	require.NoError(t, <-extended)
	require.EqualValues(t, 1, runs.Load(), "neither stood in the other's way")
	require.Equal(t, h.now().Add(2*day), h.grant(t, access.ID(r.ID)).Ends)
}
