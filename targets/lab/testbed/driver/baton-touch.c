// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * baton-touch: a touch screen that is not there, so that driver hooks meet a real kernel. A platform device for each
 * node "baton,touch" of the device tree. Its power is runtime PM: open while somebody has it open, or a loan keeps it
 * on. A node with registers and an interrupt is a touch screen that is there: QEMU's `edu` (QEMU, docs/specs/edu.rst),
 * as baton-kvm shows it to Linux guests. What the world outside raises in it is a place in X. Only its interrupt
 * handler reads registers, and the interrupt is on while the power is: so the driver is bound in a guest that has lent
 * the device, or has not borrowed it yet.
 *
 *   touch                 written "X Y": a finger is there; "up": it has left
 *   lost                  touches that came while the device was off, or lent: nobody has seen them
 *   trusted_touch_enable  }  stand-ins for the attributes of Qualcomm's drivers, written from their contract as
 *   trusted_touch_event   }  docs/PLATFORMS.md has it. A node with "baton,borrower" is the borrower's side, which needs
 *                            notices before it accepts.
 *
 * For tests alone: the attributes lend nothing, since there is nothing to lend.
 */
#include <linux/delay.h>
#include <linux/input.h>
#include <linux/input/mt.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/sysfs.h>
#include <linux/version.h>
#include <linux/workqueue.h>

static unsigned int probe_ms = 60;
module_param(probe_ms, uint, 0644);
MODULE_PARM_DESC(probe_ms, "what a probe costs: 60 as a controller that is reset and asked for its firmware, "
			   "0 as one that is just there");
static unsigned int power_up_ms = 5;
module_param(power_up_ms, uint, 0644);
MODULE_PARM_DESC(power_up_ms, "from power to the first touch");

#define PLACE_MAX 4095
#define FINGERS_MAX 10
/* Of edu: what was raised and not acknowledged, and where it is acknowledged. */
#define EDU_RAISED 0x24
#define EDU_ACKNOWLEDGE 0x64
/* Until both notices of a loan have arrived; a few calls of a hypervisor. */
#define NOTICE_MS 3
/* Of trusted_touch_event. */
#define LEND_FAILURE (-1)
#define ACCEPT_FAILURE (-3)
#define NOTIFICATIONS_PENDING 5

struct touch {
	struct device *dev;
	struct input_dev *input;
	/* Of a device that is there. 0: there is none. */
	int interrupt;
	void __iomem *registers;
	struct mutex lock;
	unsigned int lost;
	bool is_borrower;
	/* This side has lent, or accepted. */
	bool enabled;
	/* The borrower's: both notices are there. */
	bool noticed;
	/* The bus and clocks are kept on for a loan. */
	bool votes;
	int event;
	struct delayed_work notice;
};

static int touch_open(struct input_dev *input)
{
	struct touch *touch = input_get_drvdata(input);

	return pm_runtime_resume_and_get(touch->dev);
}

static void touch_close(struct input_dev *input)
{
	struct touch *touch = input_get_drvdata(input);

	pm_runtime_put_sync_suspend(touch->dev);
}

/* Whether touches reach this side. */
static bool touch_is_ours(const struct touch *touch)
{
	return touch->enabled == touch->is_borrower;
}

static ssize_t touch_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
	struct touch *touch = dev_get_drvdata(dev);
	bool is_there = !sysfs_streq(text, "up");
	unsigned int x = 0, y = 0;

	if (is_there && sscanf(text, "%u %u", &x, &y) != 2)
		return -EINVAL;
	mutex_lock(&touch->lock);
	if (pm_runtime_get_if_in_use(dev) <= 0) {
		touch->lost++;
	} else {
		if (touch_is_ours(touch)) {
			input_mt_slot(touch->input, 0);
			input_mt_report_slot_state(touch->input, MT_TOOL_FINGER, is_there);
			if (is_there) {
				input_report_abs(touch->input, ABS_MT_POSITION_X, x);
				input_report_abs(touch->input, ABS_MT_POSITION_Y, y);
			}
			input_mt_sync_frame(touch->input);
			input_sync(touch->input);
		} else {
			touch->lost++;
		}
		pm_runtime_put(dev);
	}
	mutex_unlock(&touch->lock);
	return length;
}
static DEVICE_ATTR_WO(touch);

static ssize_t lost_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct touch *touch = dev_get_drvdata(dev);

	return sysfs_emit(text, "%u\n", touch->lost);
}
static DEVICE_ATTR_RO(lost);

static void touch_notice(struct work_struct *work)
{
	struct touch *touch = container_of(to_delayed_work(work), struct touch, notice);

	mutex_lock(&touch->lock);
	touch->noticed = true;
	mutex_unlock(&touch->lock);
}

/* Keeps the bus on, as both sides do while they have the device in hand for a loan. */
static int touch_vote(struct touch *touch, int failure)
{
	int error = pm_runtime_resume_and_get(touch->dev);

	if (error)
		touch->event = failure;
	else
		touch->votes = true;
	return error;
}

static void touch_unvote(struct touch *touch)
{
	if (touch->votes)
		pm_runtime_put_sync(touch->dev);
	touch->votes = false;
}

/* A failed accept is told by the event alone; a failed lend by the write, too. */
static int touch_enable(struct touch *touch)
{
	if (touch->enabled)
		return -EINVAL;
	if (touch->is_borrower && !touch->noticed) {
		touch->event = NOTIFICATIONS_PENDING;
		schedule_delayed_work(&touch->notice, msecs_to_jiffies(NOTICE_MS));
		return 0;
	}
	if (touch_vote(touch, touch->is_borrower ? ACCEPT_FAILURE : LEND_FAILURE))
		return touch->is_borrower ? 0 : -EINVAL;
	touch->enabled = true;
	return 0;
}

static void touch_disable(struct touch *touch)
{
	touch->enabled = false;
	touch->noticed = false;
	touch_unvote(touch);
}

static ssize_t trusted_touch_enable_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct touch *touch = dev_get_drvdata(dev);

	return sysfs_emit(text, "%d\n", touch->enabled);
}

static ssize_t trusted_touch_enable_store(struct device *dev, struct device_attribute *attr, const char *text,
					  size_t length)
{
	struct touch *touch = dev_get_drvdata(dev);
	bool on;
	int error = kstrtobool(text, &on);

	if (error)
		return error;
	mutex_lock(&touch->lock);
	if (on)
		error = touch_enable(touch);
	else
		touch_disable(touch);
	mutex_unlock(&touch->lock);
	sysfs_notify(&dev->kobj, NULL, "trusted_touch_event");
	return error ? error : length;
}
static DEVICE_ATTR_RW(trusted_touch_enable);

static ssize_t trusted_touch_event_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct touch *touch = dev_get_drvdata(dev);

	return sysfs_emit(text, "%d\n", touch->event);
}

static ssize_t trusted_touch_event_store(struct device *dev, struct device_attribute *attr, const char *text,
					 size_t length)
{
	struct touch *touch = dev_get_drvdata(dev);

	if (!sysfs_streq(text, "0"))
		return -EINVAL;
	mutex_lock(&touch->lock);
	touch->event = 0;
	mutex_unlock(&touch->lock);
	return length;
}
static DEVICE_ATTR_RW(trusted_touch_event);

static struct attribute *touch_attrs[] = {
	&dev_attr_touch.attr,
	&dev_attr_lost.attr,
	&dev_attr_trusted_touch_enable.attr,
	&dev_attr_trusted_touch_event.attr,
	NULL
};
ATTRIBUTE_GROUPS(touch);

/* A place without a finger: what reads is two events long, as of the tablet. */
static irqreturn_t touch_interrupt(int number, void *data)
{
	struct touch *touch = data;
	u32 place = readl(touch->registers + EDU_RAISED);

	if (!place)
		return IRQ_NONE;
	writel(place, touch->registers + EDU_ACKNOWLEDGE);
	input_report_abs(touch->input, ABS_X, place);
	input_sync(touch->input);
	return IRQ_HANDLED;
}

/* Finds registers and interrupt of a device that is there, and leaves both alone. */
static int touch_find(struct platform_device *device, struct touch *touch)
{
	if (!platform_get_resource(device, IORESOURCE_MEM, 0))
		return 0;
	touch->registers = devm_platform_ioremap_resource(device, 0);
	if (IS_ERR(touch->registers))
		return PTR_ERR(touch->registers);
	touch->interrupt = platform_get_irq(device, 0);
	if (touch->interrupt < 0)
		return touch->interrupt;
	return devm_request_irq(touch->dev, touch->interrupt, touch_interrupt, IRQF_NO_AUTOEN, dev_name(touch->dev), touch);
}

static int touch_probe(struct platform_device *device)
{
	struct device *dev = &device->dev;
	struct touch *touch = devm_kzalloc(dev, sizeof(*touch), GFP_KERNEL);
	struct input_dev *input = devm_input_allocate_device(dev);
	int error;

	if (!touch || !input)
		return -ENOMEM;
	if (probe_ms)
		msleep(probe_ms);
	mutex_init(&touch->lock);
	INIT_DELAYED_WORK(&touch->notice, touch_notice);
	touch->dev = dev;
	touch->input = input;
	touch->is_borrower = of_property_read_bool(dev->of_node, "baton,borrower");
	platform_set_drvdata(device, touch);
	input_set_drvdata(input, touch);
	input->name = dev_name(dev);
	input->id.bustype = BUS_HOST;
	input->open = touch_open;
	input->close = touch_close;
	input_set_abs_params(input, ABS_MT_POSITION_X, 0, PLACE_MAX, 0, 0);
	input_set_abs_params(input, ABS_MT_POSITION_Y, 0, PLACE_MAX, 0, 0);
	error = input_mt_init_slots(input, FINGERS_MAX, INPUT_MT_DIRECT);
	if (error)
		return error;
	error = touch_find(device, touch);
	if (!error)
		error = devm_pm_runtime_enable(dev);
	if (error)
		return error;
	return input_register_device(input);
}

static void touch_stop(struct platform_device *device)
{
	struct touch *touch = platform_get_drvdata(device);

	cancel_delayed_work_sync(&touch->notice);
	touch_unvote(touch);
}

/* platform_driver.remove returns void since Linux 6.11; the value from before meant nothing. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static void touch_remove(struct platform_device *device)
{
	touch_stop(device);
}
#else
static int touch_remove(struct platform_device *device)
{
	touch_stop(device);
	return 0;
}
#endif

static int touch_runtime_suspend(struct device *dev)
{
	struct touch *touch = dev_get_drvdata(dev);

	/* Returns when no handler runs any more. */
	if (touch->interrupt)
		disable_irq(touch->interrupt);
	return 0;
}

static int touch_runtime_resume(struct device *dev)
{
	struct touch *touch = dev_get_drvdata(dev);

	if (power_up_ms)
		usleep_range(power_up_ms * 1000, power_up_ms * 1000 + 100);
	if (touch->interrupt)
		enable_irq(touch->interrupt);
	return 0;
}

static const struct dev_pm_ops touch_pm = { SET_RUNTIME_PM_OPS(touch_runtime_suspend, touch_runtime_resume, NULL) };

static const struct of_device_id touch_of[] = { { .compatible = "baton,touch" }, {} };
MODULE_DEVICE_TABLE(of, touch_of);

static struct platform_driver touch_driver = {
	.probe = touch_probe,
	.remove = touch_remove,
	.driver = {
		.name = "baton-touch",
		.of_match_table = touch_of,
		.pm = &touch_pm,
		.dev_groups = touch_groups,
	},
};
module_platform_driver(touch_driver);
MODULE_DESCRIPTION("touch screen for tests of driver hooks");
MODULE_LICENSE("GPL");
