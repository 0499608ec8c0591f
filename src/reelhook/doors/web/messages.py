"""The sentences of pages after an action, by the code in the address of the page."""

DONE = {
    "checked": "Checked at the provider.",
    "canceled": "The job is canceled.",
    "selected_check": "The selected jobs were checked at their providers.",
    "selected_cancel": "The selected jobs are canceled.",
    "selected_resend": "The failed webhooks of the selected jobs are sent again.",
    "deleted": "The job is deleted. Its costs still count.",
    "adopted": "The provider's job is watched here now.",
    "abandoned": "Settled: the provider does not have this job.",
    "resent": "The event is sent again, as a new delivery.",
    "resending": "The failed events are being sent again.",
    "endpoint_made": "The endpoint is registered.",
    "endpoint_enabled": "The endpoint is enabled. Waiting events are sent first.",
    "endpoint_disabled": "The endpoint is disabled. Its events wait until you enable it.",
    "endpoint_changed": "The settings are changed. Events that wait keep their bodies.",
    "endpoint_removed": "The endpoint and its waiting events are removed.",
    "paused": "Watching is paused in every process, until it is resumed.",
    "resumed": "Watching goes on.",
    "raised": "The budget is raised.",
    "budget_set": "The budget is set.",
    "key_revoked": "The key is revoked, in every process within a second.",
    "project_made": "The project is created.",
    "project_closed": "The project is closed. Its running jobs go on to their end.",
    "submitted": "The job is accepted.",
    "themed": "",
}
EXPIRED_FORM = "This page is too old, or comes from another session; send its form again"
FOREIGN_FORM = "The form was sent from another page; open the page here and send it again"
