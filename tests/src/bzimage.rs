//! Makes tiny Linux kernels: files with the setup header of a bzImage, right ones and wrong ones. The offsets are those of
//! Documentation/arch/x86/boot.rst, written out once more.

/// A bzImage out of a few declared fields.
#[derive(Clone, Debug)]
pub struct BzImage {
    /// `setup_sects`: sectors of real-mode code behind the first; 0 means 4.
    pub setup_sects: u8,
    /// `version`.
    pub version: u16,
    /// `loadflags`.
    pub loadflags: u8,
    /// `code32_start`.
    pub code32_start: u32,
    /// `initrd_addr_max`.
    pub initrd_addr_max: u32,
    /// `relocatable_kernel`.
    pub relocatable: u8,
    /// `xloadflags`.
    pub xloadflags: u16,
    /// `cmdline_size`.
    pub cmdline_size: u32,
    /// `pref_address`.
    pub pref_address: u64,
    /// `init_size`.
    pub init_size: u32,
    /// The protected-mode code; its first byte is where the kernel is entered.
    pub code: Vec<u8>,
}

impl BzImage {
    /// A kernel as Linux 6 has it, small: relocatable, at 16 MiB, and it halts.
    pub fn kernel() -> Self {
        Self {
            setup_sects: 1,
            version: 0x20f,
            loadflags: 0x81,
            code32_start: 0x10_0000,
            initrd_addr_max: 0x7fff_ffff,
            relocatable: 1,
            xloadflags: 0,
            cmdline_size: 2047,
            pref_address: 0x100_0000,
            init_size: 0x20_0000,
            // cli; hlt; jmp to the hlt
            code: [vec![0xfa, 0xf4, 0xeb, 0xfd], vec![0x90; 60]].concat(),
        }
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sectors = if self.setup_sects == 0 { 4 } else { usize::from(self.setup_sects) };
        let mut file = vec![0; (sectors + 1) * 512];
        let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
        let paragraphs = u32::try_from(self.code.len().div_ceil(16)).unwrap_or(u32::MAX);
        put(0x1f1, &[self.setup_sects]);
        put(0x1f4, &paragraphs.to_le_bytes());
        put(0x1fa, &0xffff_u16.to_le_bytes());
        put(0x1fe, &[0x55, 0xaa]);
        // A jump over the header, which ends at 0x26c.
        put(0x200, &[0xeb, 0x6a]);
        put(0x202, b"HdrS");
        put(0x206, &self.version.to_le_bytes());
        put(0x211, &[self.loadflags]);
        put(0x214, &self.code32_start.to_le_bytes());
        put(0x22c, &self.initrd_addr_max.to_le_bytes());
        put(0x230, &0x100_0000_u32.to_le_bytes());
        put(0x234, &[self.relocatable]);
        put(0x236, &self.xloadflags.to_le_bytes());
        put(0x238, &self.cmdline_size.to_le_bytes());
        put(0x258, &self.pref_address.to_le_bytes());
        put(0x260, &self.init_size.to_le_bytes());
        // Behind the header there is real-mode code, which the zero page must not get.
        put(0x26c, &[0xcc; 0x80]);
        file.extend_from_slice(&self.code);
        file
    }
}
