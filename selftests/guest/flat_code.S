/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest of flat.h; the addresses are those that it has there. */
	.section .rodata
	.code32
	.globl flat_code, flat_handler_a, flat_handler_b, flat_code_end
flat_code:
	mov $0x9000, %esi
1:	mov (%esi), %eax
	mov 4(%esi), %ebx
	mov 8(%esi), %ecx
	xor %edi, %edi
	cmp $1, %eax
	je 2f
	cmp $2, %eax
	je 3f
	cmp $3, %eax
	je 4f
	mov $4, %edi
	cmp $4, %eax
	je 4f
	cmp $5, %eax
	je 5f
	out %al, $0x80
	jmp flat_code
2:	mov %ecx, (%ebx)
	jmp 6f
3:	mov (%ebx), %ecx
	mov %ecx, 8(%esi)
	jmp 6f
4:	cli
	cmp %ecx, 0x8000(%edi)
	jae 6f
	sti
	hlt
	jmp 4b
5:	mov (%ebx), %edx
	test %ecx, %edx
	jnz 5b
6:	add $12, %esi
	jmp 1b
flat_handler_a:
	push %ecx
	mov $0x8000, %ecx
	jmp 7f
flat_handler_b:
	push %ecx
	mov $0x8004, %ecx
	/* What the device says it is for, and that it has been seen. */
7:	push %eax
	mov 0xe0000024, %eax
	test %eax, %eax
	jnz 8f
	mov $0x8008, %ecx
8:	mov %eax, 0xe0000064
	incl (%ecx)
	movl $0, 0xfee000b0
	pop %eax
	pop %ecx
	iret
flat_code_end:

	.section .note.GNU-stack, "", @progbits
