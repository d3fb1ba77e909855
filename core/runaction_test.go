package core_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
)

func TestAnActionIsAStepThatIsDoneByACall(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "open", Action: &hook}, flow.Step{ID: "check", Title: "Check it", Task: &flow.Task{}}))
	var p provisioner
	h.Connect(flow.ActionWebhook, &p)
	r := h.submit(t, "ana")
	require.Contains(t, h.jobs, core.Job(core.RunAction{Request: r.ID, Step: "open"}))
	h.work(t)
	r, err := h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, flow.StepDone, r.Run.Steps[0].State)
	require.Equal(t, flow.StepOpen, r.Run.Steps[1].State)
	require.Len(t, p.orders, 1)
	require.Equal(t, core.OrderRun, p.orders[0].Verb)
	require.NotEmpty(t, p.orders[0].Key)
	require.NoError(t, h.RunAction(t.Context(), core.RunAction{Request: r.ID, Step: "open"}))
	require.Len(t, p.orders, 1, "what is done is not called again")
}

func TestAnActionThatFailsIsTriedForADayAndThenGivenToPeople(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "open", Action: &hook}))
	p := provisioner{answer: errors.New("the door is stuck")}
	h.Connect(flow.ActionWebhook, &p)
	r := h.submit(t, "ana")
	h.work(t)
	trying, err := h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, flow.StepOpen, trying.Run.Steps[0].State)
	require.Equal(t, "the door is stuck", trying.Run.Steps[0].Why, "people see what goes wrong while it is tried again")
	for range 60 * 26 {
		h.work(t)
		h.pass(time.Minute)
	}
	r, err = h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, flow.StepFailed, r.Run.Steps[0].State)
	require.Equal(t, "the door is stuck", r.Run.Steps[0].Why)
	require.Greater(t, len(p.orders), 20)
	require.Equal(t, []string{"step delayed", "step failed"}, h.recorded(t, r.ID)[2:])
	for _, o := range p.orders {
		require.Equal(t, p.orders[0].Key, o.Key)
	}
}

func TestAnActionThatIsRefusedIsGivenToPeopleAtOnce(t *testing.T) {
	t.Parallel()

	h := newHouse(t, "", policy(flow.Step{ID: "open", Action: &hook}))
	h.Connect(flow.ActionWebhook, &provisioner{answer: &core.Refused{Why: "There is no such project."}})
	r := h.submit(t, "ana")
	h.work(t)
	r, err := h.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, flow.StepFailed, r.Run.Steps[0].State)
	require.Equal(t, "There is no such project.", r.Run.Steps[0].Why)
}
