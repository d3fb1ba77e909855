package teams

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// install installs usher for somebody, as an administrator has allowed it.
// Repeated, it changes nothing.
// Source: learn.microsoft.com, microsoftteams/platform/graph-api/proactive-bots-and-messages.
func (a *Adapter) install(ctx context.Context, user string) error {
	app, err := a.catalogueID(ctx)
	if err != nil {
		return err
	}
	body := map[string]string{"teamsApp@odata.bind": a.graphURL + "/v1.0/appCatalogs/teamsApps/" + url.PathEscape(app)}
	to := a.graphURL + "/v1.0/users/" + url.PathEscape(user) + "/teamwork/installedApps"
	err = a.request(ctx, a.graph, callInstall, http.MethodPost, to, body, nil)
	if e, ok := errors.AsType[*callError](err); ok && e.Status == http.StatusConflict {
		return nil // it is installed
	}
	return err
}

// catalogueID returns what the organisation's catalogue of apps calls usher.
func (a *Adapter) catalogueID(ctx context.Context) (string, error) {
	a.mu.Lock()
	known := a.app
	a.mu.Unlock()
	if known != "" {
		return known, nil
	}
	var answer struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
	}
	at := a.graphURL + "/v1.0/appCatalogs/teamsApps?$filter=" + url.QueryEscape("externalId eq '"+a.appID+"'")
	if err := a.request(ctx, a.graph, callInstall, http.MethodGet, at, nil, &answer); err != nil {
		return "", err
	}
	if len(answer.Value) == 0 {
		return "", errors.New("the organisation's catalogue doesn't have usher's app; upload the package from usher manifest teams")
	}
	a.mu.Lock()
	a.app = answer.Value[0].ID
	a.mu.Unlock()
	return answer.Value[0].ID, nil
}
