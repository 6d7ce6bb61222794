"""Deploys a Pulumi Python program to the Cloudflare on this machine without the Pulumi CLI.

It stands in for the Pulumi engine and the Cloudflare provider, for the resource types of this project and for a stack
whose API is on a loopback address. The program is the same file that the real CLI runs.
"""
