"""A public screen: Chromium full screen on the kiosk face, the server beside it, and both kept running.

operator_file (what the operator wants) -> command (the supervisor: keeper, flags, gpu, notify) and server
(the child process with the site, and with desk, pin, take_home and picture_folder for the face).
"""
