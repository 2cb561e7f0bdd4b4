################################################################################
#
# baton-agent
#
################################################################################

BATON_AGENT_VERSION = @VERSION@
BATON_AGENT_SOURCE = baton-agent-$(BATON_AGENT_VERSION).tar.xz
BATON_AGENT_SITE = $(call qstrip,$(BR2_PACKAGE_BATON_AGENT_SITE))
BATON_AGENT_LICENSE = Apache-2.0, MIT (QuickJS)
BATON_AGENT_LICENSE_FILES = LICENSE engine/LICENSE

BATON_AGENT_MAKE_OPTS = \
	$(TARGET_CONFIGURE_OPTS) \
	MQTT=$(if $(BR2_PACKAGE_BATON_AGENT_MQTT),yes,no)

define BATON_AGENT_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(BATON_AGENT_MAKE_OPTS) -C $(@D)
endef

define BATON_AGENT_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(BATON_AGENT_MAKE_OPTS) -C $(@D) \
		DESTDIR=$(TARGET_DIR) prefix=/usr install
	$(INSTALL) -d -m 0700 $(TARGET_DIR)/etc/baton
endef

# With another init: a line "::respawn:/usr/bin/baton-agent --config
# /etc/baton/agent.json" in /etc/inittab.
define BATON_AGENT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/systemd/baton-agent.service \
		$(TARGET_DIR)/usr/lib/systemd/system/baton-agent.service
	$(INSTALL) -D -m 0644 $(@D)/systemd/baton-sleep.service \
		$(TARGET_DIR)/usr/lib/systemd/system/baton-sleep.service
endef

$(eval $(generic-package))
