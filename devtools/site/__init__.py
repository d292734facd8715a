"""The invented clinic's own site, for developers: one page that embeds the hosted form."""
