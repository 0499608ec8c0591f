"""The view `video_jobs`, which keeps the inherited columns readable under their names.

Revision 0002 has its own copy, because a released revision never changes.
"""

from reelhook.storage.schema.migrations.dialects import iso, later


def video_jobs(condition: str = "TRUE") -> str:
    """Return the statement that creates the view of the jobs for which the condition holds."""
    checked = f"""CASE
    WHEN accepted_at IS NULL THEN NULL
    WHEN status IN ('completed', 'failed', 'canceled') THEN updated_at
    WHEN round_at >= accepted_at THEN {later("round_at", "coalesce(checked_at, 0)")}
    ELSE checked_at END"""
    return f"""
CREATE VIEW video_jobs AS SELECT
  jobs.id AS job_id,
  wallet_address,
  script AS script_body,
  title,
  CASE status WHEN 'completed' THEN 'completed'
              WHEN 'failed' THEN 'failed' WHEN 'canceled' THEN 'failed'
              ELSE 'generating' END AS status,
  error AS error_message,
  {iso("created_at")} AS created_at,
  {iso("updated_at")} AS updated_at,
  provider_job_id AS sora_job_id,
  CASE status WHEN 'accepted' THEN NULL WHEN 'submitting' THEN NULL
              WHEN 'canceled' THEN 'failed' ELSE status END AS sora_status,
  progress AS sora_progress,
  webhook_url,
  {iso(checked)} AS last_sora_check,
  {iso("CASE WHEN accepted_at IS NOT NULL THEN updated_at END")} AS sora_checked_at
FROM jobs LEFT JOIN accounts ON accounts.id = jobs.account WHERE {condition}
"""
