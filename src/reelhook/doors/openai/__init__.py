"""The door for clients of OpenAI's `/v1/videos`, as the official SDKs call it.

The wire is that of `openai` 3.57 for Python (`resources/videos.py`, `types/video.py`) and of
`openai` 7.59 for Node.
"""
