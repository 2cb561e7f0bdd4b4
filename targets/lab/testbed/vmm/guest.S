/*
 * The bare guest: reads its device in a free-running loop, handles its interrupt, and writes down what it saw.
 *
 * It starts with the address of the device's registers in x0, the number of its interrupt in x1, and 1 in x2 when that
 * is a level. What it saw stands as 64-bit words at NOTES in its RAM, where its makers read it; they also leave orders
 * there. Memory is used without MMU and caches.
 */
#define NOTES 0x40100000
#define ANSWERED 0x00   /* reads that the device answered */
#define REFUSED 0x08    /* reads that gave all ones, or an abort */
#define STRANGE 0x10    /* reads that gave anything else */
#define INTERRUPTS 0x18 /* interrupts whose status the device told */
#define RAISED 0x20     /* that status, the last one */
#define ORPHANS 0x28    /* interrupts whose device told no status */
#define ABORTS 0x30     /* external aborts */
#define ORDER 0x38      /* 1: write VALUE to the register OFFSET, 2: read it to VALUE; 0 when done */
#define OFFSET 0x40
#define VALUE 0x48

#define DEVICE_ID 0x010000ed
#define DEVICE_RAISED 0x24
#define DEVICE_ACKNOWLEDGE 0x64

#define DISTRIBUTOR 0x08000000
#define GICD_IGROUPR 0x080
#define GICD_ISENABLER 0x100
#define GICD_ICFGR 0xc00
#define ICC_PMR_EL1 S3_0_C4_C6_0
#define ICC_IAR1_EL1 S3_0_C12_C12_0
#define ICC_EOIR1_EL1 S3_0_C12_C12_1
#define ICC_SRE_EL1 S3_0_C12_C12_5
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7

	.text
	.balign 2048
guest_begin:
	b start
	.org guest_begin + 0x200 /* synchronous */
	b on_abort
	.org guest_begin + 0x280 /* interrupt */
	b on_interrupt
	.org guest_begin + 0x800

start:
	mov x19, x0
	mov x20, x1
	ldr x21, =NOTES
	adr x3, guest_begin
	msr vbar_el1, x3

	/* Distributor: group 1 with affinity routing, then this interrupt alone. */
	ldr x4, =DISTRIBUTOR
	mov w3, #0x12
	str w3, [x4]
	lsr x5, x20, #5
	mov w6, #1
	lsl w6, w6, w20 /* modulo 32 */
	add x7, x4, x5, lsl #2
	str w6, [x7, #GICD_IGROUPR]
	lsr x8, x20, #4
	add x8, x4, x8, lsl #2
	and w9, w20, #15
	lsl w9, w9, #1
	mov w3, #2
	lsl w3, w3, w9
	cbz x2, 1f
	mov w3, #0
1:	str w3, [x8, #GICD_ICFGR]
	str w6, [x7, #GICD_ISENABLER]

	/* Processor interface. */
	mov x3, #7
	msr ICC_SRE_EL1, x3
	isb
	mov x3, #0xff
	msr ICC_PMR_EL1, x3
	mov x3, #1
	msr ICC_IGRPEN1_EL1, x3
	isb
	msr daifclr, #2

	ldr w5, =DEVICE_ID
loop:
	mov w3, #0
	ldr w3, [x19]
	mov x6, #ANSWERED
	cmp w3, w5
	b.eq 1f
	mov x6, #REFUSED
	cmn w3, #1
	b.eq 1f
	mov x6, #STRANGE
1:	ldr x7, [x21, x6]
	add x7, x7, #1
	str x7, [x21, x6]

	ldr x8, [x21, #ORDER]
	cbz x8, loop
	dmb sy
	ldr x9, [x21, #OFFSET]
	add x9, x19, x9
	cmp x8, #1
	b.ne 2f
	ldr x7, [x21, #VALUE]
	str w7, [x9]
	b 3f
2:	ldr w3, [x9]
	str x3, [x21, #VALUE]
3:	dmb sy
	str xzr, [x21, #ORDER]
	b loop

/* The interrupted load is skipped; what it would have read is all ones. */
on_abort:
	ldr x10, [x21, #ABORTS]
	add x10, x10, #1
	str x10, [x21, #ABORTS]
	mov w3, #-1
	mrs x10, elr_el1
	add x10, x10, #4
	msr elr_el1, x10
	eret

on_interrupt:
	mrs x12, ICC_IAR1_EL1
	cmp x12, x20
	b.ne 3f
	ldr w13, [x19, #DEVICE_RAISED]
	cbz w13, 1f
	cmn w13, #1
	b.eq 1f
	str x13, [x21, #RAISED]
	str w13, [x19, #DEVICE_ACKNOWLEDGE]
	mov x15, #INTERRUPTS
	b 2f
1:	mov x15, #ORPHANS
2:	ldr x14, [x21, x15]
	add x14, x14, #1
	str x14, [x21, x15]
	msr ICC_EOIR1_EL1, x12
3:	eret

	.ltorg

	.section .note.GNU-stack, "", %progbits
