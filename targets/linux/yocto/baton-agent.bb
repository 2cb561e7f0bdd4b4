SUMMARY = "Agent of one VM for Baton, and its command line"
DESCRIPTION = "Negotiates with other VMs who has a platform device, and has the local drivers let go of it and take \
it again."
LICENSE = "Apache-2.0 & MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=@LICENSE_MD5@ \
                    file://engine/LICENSE;md5=@ENGINE_LICENSE_MD5@"

# Where you keep the archives of releases: set it in a .conf of yours. Nothing else is fetched.
BATON_SITE ?= ""
SRC_URI = "${BATON_SITE}/baton-agent-${PV}.tar.xz"
SRC_URI[sha256sum] = "@SHA256@"

python () {
    if not d.getVar('BATON_SITE'):
        name = 'baton-agent-%s.tar.xz' % d.getVar('PV')
        raise bb.parse.SkipRecipe('BATON_SITE is not set: the URL of the folder that has ' + name)
}

inherit systemd

PACKAGECONFIG ??= ""
PACKAGECONFIG[mqtt] = "MQTT=yes,MQTT=no"

EXTRA_OEMAKE = "'CC=${CC}' 'CFLAGS=${CFLAGS}' 'CPPFLAGS=${CPPFLAGS}' 'LDFLAGS=${LDFLAGS}' 'prefix=${prefix}' \
                ${PACKAGECONFIG_CONFARGS}"

do_compile() {
    oe_runmake
}

do_install() {
    oe_runmake install DESTDIR=${D}
    install -d -m 0700 ${D}${sysconfdir}/baton
    for unit in baton-agent.service baton-sleep.service; do
        install -D -m 0644 ${S}/systemd/$unit ${D}${systemd_system_unitdir}/$unit
        sed -i -e 's,/usr/bin/,${bindir}/,' ${D}${systemd_system_unitdir}/$unit
    done
}

# Not before there is a configuration: /etc/baton/agent.json.
SYSTEMD_SERVICE:${PN} = "baton-agent.service baton-sleep.service"
SYSTEMD_AUTO_ENABLE = "disable"
FILES:${PN} += "${sysconfdir}/baton"
